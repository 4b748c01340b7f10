//go:build !amd64

package pixel

func machineVariants() []*variant { return nil }
