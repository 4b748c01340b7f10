//go:build unix

package split

import (
	"syscall"
	"time"
)

func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return time.Since(loaded)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
