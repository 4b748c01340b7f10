package main

type scaleCmd struct {
	Sweep scaleSweepCmd `cmd:"" help:"Train a ladder of models for a scaling law."`
	Fit   scaleFitCmd   `cmd:"" help:"Fit scaling laws to runs."`
	Plan  scalePlanCmd  `cmd:"" help:"What a budget is best spent on: parameters, tokens, shape, layout, time; or a published model beside the optimum."`
	Plot  scalePlotCmd  `cmd:"" help:"Figures and a report of runs and the law fitted to them."`
}
