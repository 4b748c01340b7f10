package main

type scaleCmd struct {
	Fit scaleFitCmd `cmd:"" help:"Fit scaling laws to runs."`
}
