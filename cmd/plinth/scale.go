package main

type scaleCmd struct {
	Fit  scaleFitCmd  `cmd:"" help:"Fit scaling laws to runs."`
	Plan scalePlanCmd `cmd:"" help:"What a budget is best spent on: parameters, tokens, shape, layout, time; or a published model beside the optimum."`
}
