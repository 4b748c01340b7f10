package file

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Open opens a regular file for reading. A pipe is not opened, for that could wait for ever; nor is a device, which may have no end.
func Open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.Open(path)
}

// Read reads a regular file whole, whose bytes are at most limit: they are counted while reading, since a size that the system tells may be wrong by then.
// Errors name the file.
func Read(path string, limit int) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadFrom(f, path, limit)
}

// ReadText is Read of a text in UTF-8, without the byte order mark that some editors put before it.
func ReadText(path string, limit int) (string, error) {
	data, err := Read(path, limit)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return "", fmt.Errorf("%s is no text in UTF-8", path)
	}
	return strings.TrimPrefix(string(data), "\ufeff"), nil
}

// ReadFrom reads what is left of a stream whole, at most limit bytes. name is the stream's in the error.
func ReadFrom(r io.Reader, name string, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}
