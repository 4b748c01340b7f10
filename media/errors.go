package media

import "errors"

// ErrLimit is in the chain of every error about a picture that exceeds a field of Limits.
var ErrLimit = errors.New("over the limit")

// ErrFormat is in the chain of every error about bytes that are no picture, a damaged one, or of a kind that is not read.
var ErrFormat = errors.New("not a picture that can be read")
