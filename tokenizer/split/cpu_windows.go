package split

import (
	"syscall"
	"time"
)

func processTime() time.Duration {
	var made, exited, kernel, user syscall.Filetime // in units of 100 ns; the last two are durations
	self, err := syscall.GetCurrentProcess()
	if err != nil || syscall.GetProcessTimes(self, &made, &exited, &kernel, &user) != nil {
		return time.Since(loaded)
	}
	ticks := func(f syscall.Filetime) time.Duration {
		return time.Duration(f.HighDateTime)<<32 | time.Duration(f.LowDateTime)
	}
	return 100 * (ticks(kernel) + ticks(user))
}
