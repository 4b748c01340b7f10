//go:build !linux && !darwin && !windows

package train

// availableMemory is 0: unknown on this system.
func availableMemory() int64 { return 0 }

// peakRSS is 0: unknown on this system.
func peakRSS() int64 { return 0 }
