//go:build slow

package serve_test

// All hostile requests, with long texts.
const (
	hostileEvery = 1
	hostileLong  = 400000
)
