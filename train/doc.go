// Package train runs training: a Loop takes the parts of each step's batch from an Objective, computes loss and gradients on a tape, and
// steps an optimiser, with schedules, clipping, metrics, checkpoints from which it goes on with the same bits, and a way back from loss spikes.
//
// New is next-token prediction, a decoder on a data.Source; Minimize takes any other Objective: masked words, span corruption, a downstream task.
//
// The loop knows neither evaluation nor generation nor text: those come in as Hooks. A run directory holds
//
//	train.json      the options in force
//	metrics.jsonl   one object per logged step
//	events.out.tfevents.plinth   the same for TensorBoard
//	state/step-N/   weights, moments and position after N steps, written whole or not at all
//
// and whatever the Export hook writes.
package train
