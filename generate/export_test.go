package generate

import "math"

// SetLogitRows makes an engine compute the logits of n rows at once, so that small models take several turns too.
func (e *Engine) SetLogitRows(n int) { e.target.logitRows = n }

// SpendNames leaves so many ids for rows of prompts.
func (e *Engine) SpendNames(left int32) { e.names.next = math.MinInt32 + left }
