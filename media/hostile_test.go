package media

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"
)

// pngFile has the size w x h in its header and body as the inflated pixels.
func pngFile(w, h uint32, body io.Reader) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		start := len(b)
		b = append(append(b, name...), data...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	}
	header := binary.BigEndian.AppendUint32(nil, w)
	header = binary.BigEndian.AppendUint32(header, h)
	chunk("IHDR", append(header, 8, 2, 0, 0, 0)) // 8 bits, RGB
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	io.Copy(z, body)
	z.Close()
	chunk("IDAT", packed.Bytes())
	chunk("IEND", nil)
	return b
}

// zeros is n bytes of nothing, without end where n is negative.
func zeros(n int64) io.Reader {
	if n < 0 {
		return endless{}
	}
	return io.LimitReader(endless{}, n)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// blocks reads as one sub-block of 255 bytes after the other, without end.
type blocks struct{}

func (blocks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 255
	}
	return len(p), nil
}

// gifFile is a GIF of w x h pixels with two colours and n frames of one pixel.
func gifFile(w, h uint16, n int) []byte {
	b := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	b = binary.LittleEndian.AppendUint16(b, h)
	b = append(b, 0x80, 0, 0, 0, 0, 0, 255, 255, 255)
	for range n {
		b = append(b, ",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"...)
	}
	return append(b, ';')
}

// webpFile is a RIFF of chunks, given as pairs of name and body.
func webpFile(chunks ...string) []byte {
	b := []byte("WEBP")
	for i := 0; i < len(chunks); i += 2 {
		b = append(b, chunks[i]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(chunks[i+1])))
		b = append(b, chunks[i+1]...)
		b = append(b, make([]byte, len(b)%2)...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(b))), b...)
}

// jpegHeader is a JPEG up to its frame of w x h pixels in three components.
func jpegHeader(w, h uint16) string {
	b := binary.BigEndian.AppendUint16([]byte("\xff\xd8\xff\xc2\x00\x11\x08"), h)
	return string(append(binary.BigEndian.AppendUint16(b, w), "\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"...))
}

// TestHostile: refused with an error that says why, for little memory whatever the header promises.
func TestHostile(t *testing.T) {
	const (
		lossless = "\x2f\xff\xff\xff\x0f"                     // VP8L of 16384 x 16384
		extended = "\x00\x00\x00\x00\x09\x00\x00\x09\x00\x00" // VP8X of 10 x 10
		animated = "\x02\x00\x00\x00\x09\x00\x00\x09\x00\x00" // and an animation
		alpha    = "\x10\x00\x00\x00\xff\x3f\x00\xff\x3f\x00" // VP8X of 16384 x 16384 with alpha
		vast     = "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff" // VP8X of 2^24 x 2^24
		scan     = "\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
	)
	for _, c := range []struct {
		name string
		file io.Reader
		is   error
		says string
	}{
		{"nothing", strings.NewReader(""), ErrFormat, "0 bytes"},
		{"text", strings.NewReader("data:image/png;base64,AAAA"), ErrFormat, `"data:ima"`},
		{"PNG of 65535 x 65535", bytes.NewReader(pngFile(65535, 65535, zeros(1<<20))), ErrLimit, "PNG: picture of 65535 x 65535 pixels"},
		{"PNG of 2^31 - 1", bytes.NewReader(pngFile(1<<31-1, 1<<31-1, zeros(0))), ErrFormat, "PNG"},
		{"PNG of 2^32 - 1", bytes.NewReader(pngFile(1<<32-1, 1<<32-1, zeros(0))), ErrFormat, "PNG"},
		{"PNG of no width", bytes.NewReader(pngFile(0, 5, zeros(0))), ErrFormat, "PNG"},
		{"PNG of 52800 x 44", bytes.NewReader(pngFile(52800, 44, zeros(1<<20))), ErrLimit, "16384 on a side"},
		{"PNG of 9000 x 9000", bytes.NewReader(pngFile(9000, 9000, zeros(9000*27001))), ErrLimit, "33554432 pixels"},
		{"PNG of 10 x 321", bytes.NewReader(pngFile(10, 321, zeros(321*31))), ErrLimit, "32 for one side divided by the other"},
		{"PNG with 200 MB for 16 x 16 pixels", bytes.NewReader(pngFile(16, 16, zeros(200<<20))), ErrFormat, "PNG"},
		{"PNG of 5700 x 5700 in a few bytes", bytes.NewReader(pngFile(5700, 5700, zeros(1<<10))), ErrFormat, "too short"},
		{"JPEG of 5700 x 5700 in a few bytes", strings.NewReader(jpegHeader(5700, 5700) + scan), ErrFormat, "too short"},
		{"PNG cut off", bytes.NewReader(pngFile(16, 16, zeros(16*49))[:50]), ErrFormat, "PNG"},
		{"JPEG of 65500 x 65500", strings.NewReader(jpegHeader(65500, 65500) + scan), ErrLimit, "JPEG: picture of 65500 x 65500"},
		{"JPEG of a million scans", strings.NewReader(jpegHeader(5000, 5000) + strings.Repeat(scan, 1<<20)), ErrLimit, "1048576 scans"},
		{"JPEG without a picture", strings.NewReader("\xff\xd8\xff\xd9"), ErrFormat, "JPEG"},
		{"GIF of 65535 x 65535", bytes.NewReader(gifFile(65535, 65535, 1)), ErrLimit, "GIF: picture of 65535 x 65535"},
		{"GIF of 100,000 frames", bytes.NewReader(gifFile(5, 5, 100_000)), ErrLimit, "100000 frames"},
		{"GIF without a frame", bytes.NewReader(gifFile(5, 5, 0)), ErrFormat, "no frame"},
		{"GIF without an end", io.MultiReader(strings.NewReader("GIF89a\x05\x00\x05\x00\x00\x00\x00!\xfe"), blocks{}), ErrLimit, "16777216 bytes"},
		{"WebP of 16384 x 16384", bytes.NewReader(webpFile("VP8L", lossless)), ErrLimit, "WebP: picture of 16384 x 16384"},
		{"WebP of 16384 x 16384 in 10 x 10", bytes.NewReader(webpFile("VP8X", extended, "VP8L", lossless)), ErrFormat, "WebP"},
		{"WebP of 2^24 x 2^24", bytes.NewReader(webpFile("VP8X", vast, "VP8L", lossless)), ErrFormat, "WebP"},
		{"WebP with vast alpha", bytes.NewReader(webpFile("VP8X", alpha, "ALPH", "\x01\x00\x00")), ErrLimit, "WebP"},
		{"WebP animation", bytes.NewReader(webpFile("VP8X", animated)), ErrFormat, "animation"},
		{"endless zeros", zeros(-1), ErrLimit, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := Decode(c.file, Limits{})
			runtime.ReadMemStats(&after)
			if m != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "media: ") {
				t.Errorf("error %v, want one that is %q and says %q", err, c.is, c.says)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("allocated %d MB", n>>20)
			}
		})
	}
}

// tight keeps what a damaged header can ask for small.
var tight = Limits{Pixels: 1 << 14, Side: 1 << 10}

// TestDamaged cuts the golden files at every sixth byte and flips a bit in every ninth: an error or a picture within the limits, never a
// panic.
func TestDamaged(t *testing.T) {
	for k, c := range readGolden(t).Decode {
		for i := k % 6; i < len(c.Data); i += 6 {
			m, err := Decode(bytes.NewReader(c.Data[:i]), tight)
			if (m == nil) == (err == nil) || err == nil && strings.HasPrefix(c.Name, "jpeg") {
				t.Fatalf("%s cut at %d: picture %v, error %v", c.Name, i, m, err)
			}
		}
		for i := k % 9; i < len(c.Data); i += 9 {
			b := bytes.Clone(c.Data)
			b[i] ^= 1 << (i / 9 % 8)
			checkDecode(t, b)
		}
	}
}

// checkDecode decodes; a picture must be within the limits and survive being written as PNG.
func checkDecode(t *testing.T, b []byte) {
	t.Helper()
	m, err := Decode(bytes.NewReader(b), tight)
	if over, errOver := DecodeOver(bytes.NewReader(b), tight, [3]uint8{255, 255, 255}); (over == nil) != (m == nil) || (errOver == nil) != (err == nil) {
		t.Fatalf("over white: error %v, without: %v", errOver, err)
	}
	if err != nil {
		if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrFormat) {
			t.Fatalf("error %v is neither ErrLimit nor ErrFormat", err)
		}
		return
	}
	if m.W < 1 || m.H < 1 || m.W*m.H > tight.Pixels || max(m.W, m.H) > tight.Side || len(m.Pix) != 3*m.W*m.H {
		t.Fatalf("picture of %d x %d with %d bytes", m.W, m.H, len(m.Pix))
	}
	rgba := image.NewNRGBA(image.Rect(0, 0, m.W, m.H))
	for i := range m.W * m.H {
		copy(rgba.Pix[4*i:], m.Pix[3*i:3*i+3])
		rgba.Pix[4*i+3] = 255
	}
	var file bytes.Buffer
	if err := png.Encode(&file, rgba); err != nil {
		t.Fatal(err)
	}
	again, err := Decode(&file, tight)
	if err != nil || !bytes.Equal(again.Pix, m.Pix) {
		t.Fatalf("not the same after a round trip: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range readGolden(f).Decode {
		f.Add(c.Data)
	}
	f.Fuzz(checkDecode)
}

func FuzzOrientation(f *testing.F) {
	for _, c := range exifCases {
		f.Add([]byte(c.exif))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := orientation(b); v < 1 || v > 8 {
			t.Fatalf("orientation %d", v)
		}
	})
}

// exifCases are blocks without their name: byte order, 42, offset of the directory, its length, entries.
var exifCases = []struct {
	name, exif string
	want       int
}{
	{"little-endian", "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00", 6},
	{"big-endian, second entry", "MM\x00*\x00\x00\x00\x08\x00\x02\x01\x0f\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x12\x00\x03\x00\x00\x00\x01\x00\x03\x00\x00", 3},
	{"nothing", "", 1},
	{"other order", "IM*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00", 1},
	{"orientation 9", "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x09\x00\x00\x00", 1},
	{"directory behind the end", "II*\x00\xff\xff\xff\xff\x01\x00", 1},
	{"directory over its own header", "II*\x00\x00\x00\x00\x00", 1},
	{"65535 entries in 12 bytes", "II*\x00\x08\x00\x00\x00\xff\xff\x0f\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00", 1},
	{"a billion orientations", "II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x00\x00\x00\x40\x06\x00\x00\x00", 1},
}

func TestOrientation(t *testing.T) {
	for _, c := range exifCases {
		if got := orientation([]byte(c.exif)); got != c.want {
			t.Errorf("%s: orientation %d, want %d", c.name, got, c.want)
		}
	}
}
