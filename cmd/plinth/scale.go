package main

type scaleCmd struct {
	Sweep scaleSweepCmd `cmd:"" help:"Train a ladder of models for a scaling law."`
}
