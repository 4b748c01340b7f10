package train

import "golang.org/x/sys/unix"

// availableMemory is all that the machine has, in bytes: macOS compresses and reclaims memory and has no figure for what is left.
// 0 where unknown.
func availableMemory() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}

// peakRSS is the largest resident memory of this process so far; 0 where unknown.
func peakRSS() int64 {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return int64(r.Maxrss) // bytes on this system
}
