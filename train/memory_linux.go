package train

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// availableMemory is what processes can still take without swapping, in bytes, within the limit of the control group; 0 where unknown.
func availableMemory() int64 {
	free := procField("/proc/meminfo", "MemAvailable:")
	limit, used := number("/sys/fs/cgroup/memory.max"), number("/sys/fs/cgroup/memory.current")
	if limit > 0 && used > 0 {
		// file pages of the group can be dropped
		used -= statField("/sys/fs/cgroup/memory.stat", "inactive_file")
		if left := max(1, limit-used); free == 0 || left < free {
			free = left
		}
	}
	return free
}

// peakRSS is the largest resident memory of this process so far; 0 where unknown.
func peakRSS() int64 { return procField("/proc/self/status", "VmHWM:") }

// procField reads a value in kB from a file of lines such as "MemAvailable:  123 kB".
func procField(path, name string) int64 { return statField(path, name) * 1024 }

func statField(path, name string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) >= 2 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64) // 0: unknown
			return n
		}
	}
	return 0
}

// number reads a file that holds one number; 0 where it does not, as a limit of "max".
func number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // 0: unknown
	return n
}
