package train

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32      = windows.NewLazySystemDLL("kernel32.dll")
	memoryStatus  = kernel32.NewProc("GlobalMemoryStatusEx")
	processMemory = kernel32.NewProc("K32GetProcessMemoryInfo")
)

// availableMemory is the physical memory that is free, in bytes; 0 where unknown.
func availableMemory() int64 {
	var s struct { // MEMORYSTATUSEX
		length, load                                        uint32
		totalPhys, availPhys, totalPage, availPage          uint64
		totalVirtual, availVirtual, availExtendedVirtualMem uint64
	}
	s.length = uint32(unsafe.Sizeof(s))
	if ok, _, _ := memoryStatus.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0
	}
	return int64(s.availPhys)
}

// peakRSS is the largest resident memory of this process so far; 0 where unknown.
func peakRSS() int64 {
	var s struct { // PROCESS_MEMORY_COUNTERS
		size, faults              uint32
		peakWorkingSet, otherSets uintptr
		quotas                    [4]uintptr
		pageFile, peakPageFile    uintptr
	}
	s.size = uint32(unsafe.Sizeof(s))
	if ok, _, _ := processMemory.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&s)), uintptr(s.size)); ok == 0 {
		return 0
	}
	return int64(s.peakWorkingSet)
}
