// Package file writes files and directories as one unit and maps files for reading.
//
// A write goes to a temporary name in the same directory, is synced, renamed, and the directory is synced: after a crash
// either the old content or the new is there, whole. A failed sync discards the file; it is never retried, because the
// kernel may have dropped the dirty pages.
package file
