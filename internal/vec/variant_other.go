//go:build !amd64

package vec

func machineVariants() []*variant { return nil }
