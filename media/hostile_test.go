package media

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
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
func pngFile(w, h uint32, body io.Reader) []byte { return pngOf(rgbPNG, w, h, body) }

// pngOf is a pngFile of a kind, with chunks, given as pairs of name and body, in front of its pixels.
func pngOf(kind byte, w, h uint32, body io.Reader, chunks ...string) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		start := len(b)
		b = append(append(b, name...), data...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	}
	header := binary.BigEndian.AppendUint32(nil, w)
	header = binary.BigEndian.AppendUint32(header, h)
	chunk("IHDR", append(header, 8, kind, 0, 0, 0)) // 8 bits
	for i := 0; i < len(chunks); i += 2 {
		chunk(chunks[i], []byte(chunks[i+1]))
	}
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

// hostileFile is one that must be refused with an error that is and says something.
type hostileFile struct {
	name string
	file io.Reader
	is   error
	says string
}

func hostileFiles() []hostileFile {
	const (
		lossless = "\x2f\xff\xff\xff\x0f"                                             // VP8L of 16384 x 16384
		extended = "\x00\x00\x00\x00\x09\x00\x00\x09\x00\x00"                         // VP8X of 10 x 10
		animated = "\x02\x00\x00\x00\x09\x00\x00\x09\x00\x00"                         // and an animation
		frame    = "\x00\x00\x00\x00\x00\x00\x04\x00\x00\x04\x00\x00\x00\x00\x00\x00" // ANMF of 5 x 5
		alpha    = "\x10\x00\x00\x00\xff\x3f\x00\xff\x3f\x00"                         // VP8X of 16384 x 16384 with alpha
		vast     = "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"                         // VP8X of 2^24 x 2^24
		scan     = "\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
	)
	exif := "\xff\xe1\xff\xff" + "Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + strings.Repeat("\x0f\x01\x03\x00\x01\x00\x00\x00\x09\x00\x00\x00", 5459)
	exif += string(make([]byte, 2+0xffff-len(exif)))
	flipped := pngFile(16, 16, zeros(16*49))
	flipped[len(flipped)-13] ^= 1 // in the checksum of the pixels, whose own one is right
	return []hostileFile{
		{"PNG with a wrong checksum", bytes.NewReader(flipped), ErrFormat, `chunk "IDAT" does not have its checksum`},
		{"PNG without its palette", bytes.NewReader(pngOf(palettePNG, 4, 4, zeros(20))), ErrFormat, "PNG"},
		{"PNG with two palettes", bytes.NewReader(pngOf(palettePNG, 4, 4, zeros(20), "PLTE", "abc", "PLTE", "abc")), ErrFormat, "PNG"},
		{"PNG with half a colour", bytes.NewReader(pngOf(palettePNG, 4, 4, zeros(20), "PLTE", "abcd")), ErrFormat, "PLTE"},
		{"PNG with more alpha than colours", bytes.NewReader(pngOf(palettePNG, 4, 4, zeros(20), "PLTE", "abc", "tRNS", "ab")), ErrFormat, `chunk "tRNS"`},
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
		{"JPEG of a million scans", strings.NewReader(jpegHeader(5000, 5000) + strings.Repeat(scan, 1<<20)), ErrLimit, "100 scans"},
		{"JPEG of 16 MB of EXIF", strings.NewReader("\xff\xd8" + strings.Repeat(exif, 255)), ErrFormat, "cut off"},
		{"JPEG without a picture", strings.NewReader("\xff\xd8\xff\xd9"), ErrFormat, "JPEG"},
		{"GIF of 65535 x 65535", bytes.NewReader(gifFile(65535, 65535, 1)), ErrLimit, "GIF: picture of 65535 x 65535"},
		{"GIF of 100,000 frames", bytes.NewReader(gifFile(5, 5, 100_000)), ErrLimit, "1000 frames"},
		{"GIF without a frame", bytes.NewReader(gifFile(5, 5, 0)), ErrFormat, "no frame"},
		{"GIF without an end", io.MultiReader(strings.NewReader("GIF89a\x05\x00\x05\x00\x00\x00\x00!\xfe"), blocks{}), ErrLimit, "16777216 bytes"},
		{"WebP of 16384 x 16384", bytes.NewReader(webpFile("VP8L", lossless)), ErrLimit, "WebP: picture of 16384 x 16384"},
		{"WebP of 16384 x 16384 in 10 x 10", bytes.NewReader(webpFile("VP8X", extended, "VP8L", lossless)), ErrFormat, "WebP"},
		{"WebP of 2^24 x 2^24", bytes.NewReader(webpFile("VP8X", vast, "VP8L", lossless)), ErrFormat, "WebP"},
		{"WebP with vast alpha", bytes.NewReader(webpFile("VP8X", alpha, "ALPH", "\x01\x00\x00")), ErrLimit, "WebP"},
		{"WebP animation without a frame", bytes.NewReader(webpFile("VP8X", animated)), ErrFormat, "without a frame"},
		{"WebP animation with a frame cut off", bytes.NewReader(webpFile("VP8X", animated, "ANMF", frame[:15])), ErrFormat, "without a frame"},
		{"WebP animation on 16384 x 16384", bytes.NewReader(webpFile("VP8X", "\x02"+alpha[1:], "ANMF", frame)), ErrLimit, "16384 x 16384"},
		{"WebP frame beside its canvas", bytes.NewReader(webpFile("VP8X", animated, "ANMF", "\x03"+frame[1:])), ErrFormat, "5 x 5 at (6, 0)"},
		{"WebP frame of 16384 x 16384 in 5 x 5", bytes.NewReader(webpFile("VP8X", animated, "ANMF", frame+"VP8L\x05\x00\x00\x00"+lossless+"\x00")), ErrLimit, "16384 x 16384"},
		{"WebP frame without a picture", bytes.NewReader(webpFile("VP8X", animated, "ANMF", frame)), ErrFormat, "WebP"},
		{"WebP of 100,000 frames", bytes.NewReader(webpFile("VP8X", animated, "ANMF", frame, strings.Repeat("ANMF\x00\x00\x00\x00", 100_000)+"none", "")), ErrLimit, "1000 frames"},
		{"endless zeros", zeros(-1), ErrLimit, "bytes"},
	}
}

// TestHostile: refused with an error that says why, for little memory whatever the header promises.
func TestHostile(t *testing.T) {
	for _, c := range hostileFiles() {
		t.Run(c.name, func(t *testing.T) {
			m, n, err := decodeCounted(c.file, Limits{})
			if m != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "media: ") {
				t.Errorf("error %v, want one that is %q and says %q", err, c.is, c.says)
			}
			if n > 64<<20 {
				t.Errorf("allocated %d MB", n>>20)
			}
		})
	}
}

// decodeCounted is Decode and how many bytes it allocated.
func decodeCounted(r io.Reader, limits Limits) (m *Image, n uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err = Decode(r, limits)
	runtime.ReadMemStats(&after)
	return m, after.TotalAlloc - before.TotalAlloc, err
}

// interlacedPNG is a black PNG of n x n pixels of 16 bits in four channels, interlaced: what takes most memory for each pixel.
func interlacedPNG(n int) []byte {
	size := 0
	for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		size += (n - p[1] + p[3] - 1) / p[3] * (1 + 8*((n-p[0]+p[2]-1)/p[2]))
	}
	b := pngFile(uint32(n), uint32(n), zeros(int64(size)))
	copy(b[24:], []byte{16, 6, 0, 0, 1})
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// progressiveJPEG is a grey JPEG of n x n pixels of four channels, each of full resolution, seen turned.
func progressiveJPEG(n int) []byte {
	b := []byte("\xff\xd8\xff\xe1\x00\x22Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00")
	b = append(b, "\xff\xdb\x00\x43\x00"...)
	b = append(b, bytes.Repeat([]byte{1}, 64)...)
	b = append(b, "\xff\xc4\x00\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...) // one code, 0, of one bit
	b = append(b, "\xff\xc2\x00\x14\x08"...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, uint16(n)), uint16(n))
	b = append(b, "\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00"...)
	b = append(b, "\xff\xda\x00\x0e\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x00\x00"...)
	b = append(b, make([]byte, (n+7)/8*((n+7)/8)*4/8+1)...)
	return append(b, "\xff\xd9"...)
}

// flatWebP is a picture of 1448 x 1448 pixels with alpha, one of which is not black, without loss.
const flatWebP = "UklGRpYAAABXRUJQVlA4TIoAAAAvp8VpEQ8wAhOgEEAAFDQEkrZ42x/AH4rbtnHyzP6Dl6uM6P8ExO6YNeN//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud//ud/MgU="

// TestKnownLength: a source that tells its length is not read when that is over the limit.
func TestKnownLength(t *testing.T) {
	r := strings.NewReader("GIF89a")
	if _, err := Decode(r, Limits{Bytes: 5}); !errors.Is(err, ErrLimit) || r.Len() != 6 {
		t.Errorf("error %v, %d bytes left", err, r.Len())
	}
}

// TestMemory: what is taken within two million pixels and 8 MiB is decoded in less than 64 MB, whatever the format.
func TestMemory(t *testing.T) {
	webp, err := base64.StdEncoding.DecodeString(flatWebP)
	if err != nil {
		t.Fatal(err)
	}
	const side = 1448
	gif := gifFile(side, side, 1)
	for name, file := range map[string][]byte{"PNG": interlacedPNG(side), "JPEG": progressiveJPEG(side), "GIF": gif, "WebP": webp} {
		file = append(file, make([]byte, 8<<20-len(file))...) // as long as it may be
		m, n, err := decodeCounted(io.MultiReader(bytes.NewReader(file)), Limits{Bytes: 8 << 20, Pixels: side * side})
		if err != nil || m.W != side || m.H != side {
			t.Errorf("%s: %v", name, err)
		}
		if t.Logf("%s: %.1f MB", name, float64(n)/1e6); n > 64<<20 {
			t.Errorf("%s: allocated %d MB", name, n>>20)
		}
	}
}

// BenchmarkHostile times the refusals.
func BenchmarkHostile(b *testing.B) {
	for _, c := range hostileFiles() {
		data, err := io.ReadAll(io.LimitReader(c.file, 20<<20)) // more than the limit
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(io.MultiReader(bytes.NewReader(data)), Limits{}); err == nil { // of unknown length, as over a network
					b.Fatal("taken")
				}
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
