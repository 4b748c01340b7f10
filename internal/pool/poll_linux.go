package pool

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pollerOf returns the epoll that the runtime watches f with, or -1. Its descriptor is told nowhere but in /proc.
func pollerOf(f *os.File) int {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	watched := ""
	if err := conn.Control(func(fd uintptr) { watched = strconv.Itoa(int(fd)) }); err != nil {
		return -1
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	for _, entry := range open {
		if to, err := os.Readlink("/proc/self/fd/" + entry.Name()); err != nil || to != "anon_inode:[eventpoll]" {
			continue
		}
		info, err := os.ReadFile("/proc/self/fdinfo/" + entry.Name())
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(info)) {
			if w := strings.Fields(line); len(w) > 1 && w[0] == "tfd:" && w[1] == watched {
				n, err := strconv.Atoi(entry.Name())
				if err != nil {
					return -1
				}
				return n
			}
		}
	}
	return -1
}

// ready reports whether an epoll has events. It does not take them.
func ready(epoll int) bool {
	fds := [1]unix.PollFd{{Fd: int32(epoll), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0
}
