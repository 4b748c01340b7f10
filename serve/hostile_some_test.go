//go:build !slow

package serve_test

// A sample of the hostile requests, with texts of moderate length.
const (
	hostileEvery = 15
	hostileLong  = 20000
)
