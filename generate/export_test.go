package generate

// SetLogitRows makes an engine compute the logits of n rows at once, so that small models take several turns too.
func (e *Engine) SetLogitRows(n int) { e.target.logitRows = n }
