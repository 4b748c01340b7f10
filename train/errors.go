package train

import "errors"

// Errors that callers tell apart with errors.Is.
var (
	// ErrInterrupted says that the context ended: the current step was finished and its state saved. It is joined with the cause.
	ErrInterrupted = errors.New("interrupted")
	// ErrSpike says that the loss left its course, or was no number, and that the run could or should not rewind.
	ErrSpike = errors.New("loss spike")
	// ErrAlarm says that an objective saw for too long that nothing is learnt.
	ErrAlarm = errors.New("nothing is learnt")
	// ErrMemory says that the run would not fit into the memory that is free.
	ErrMemory = errors.New("not enough memory")
	// ErrMismatch says that a saved run was made with other options, other data or another model.
	ErrMismatch = errors.New("the saved run differs")
)
