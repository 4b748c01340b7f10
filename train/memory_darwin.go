package train

import "golang.org/x/sys/unix"

// availableMemory is 0, unknown: macOS compresses and reclaims memory and has no figure for what is left. Half of the machine's
// memory, which is never all there is, is not refused either.
func availableMemory() int64 { return 0 }

// peakRSS is the largest resident memory of this process so far; 0 where unknown.
func peakRSS() int64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss) // bytes on this system
}
