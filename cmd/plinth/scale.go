package main

type scaleCmd struct {
	Plan scalePlanCmd `cmd:"" help:"What a budget is best spent on: parameters, tokens, shape, layout, time; or a published model beside the optimum."`
}
