// Package train runs pre-training: a Loop takes batches from a data.Source, computes loss and gradients on a tape, and steps an
// optimiser, with schedules, clipping, metrics, checkpoints from which it goes on with the same bits, and a way back from loss spikes.
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
