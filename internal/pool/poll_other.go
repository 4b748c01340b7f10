//go:build !linux

package pool

import "os"

func pollerOf(*os.File) int { return -1 }

func ready(int) bool { return false }
