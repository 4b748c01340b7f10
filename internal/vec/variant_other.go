//go:build !amd64 && !arm64

package vec

func machineVariants() []*variant { return nil }
