package media

import "testing"

// A ground changes pictures that have alpha, and no others.
func TestHasAlpha(t *testing.T) {
	for _, c := range readGolden(t).Decode {
		got, want := HasAlpha(c.Data[:min(len(c.Data), 4096)]), c.Over != nil
		if c.Name == "webp of three frames" {
			want = true // of the third
		}
		if got != want {
			t.Errorf("%s: %v, want %v", c.Name, got, want)
		}
		for n := range min(len(c.Data), 100) {
			HasAlpha(c.Data[:n]) // must not panic
		}
	}
	if HasAlpha([]byte("\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR0123456789ab\xff\xff\xff\xfftEXt")) {
		t.Error("a PNG of chunks that are cut off")
	}
}
