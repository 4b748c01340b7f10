// Package pixel is the arithmetic on bytes under package media: the inverse transform of JPEG, colours brought to full resolution and to
// RGB, and weighted sums of pixels. Each function has a definition in Go and may have a faster variant with the same bits, for all inputs.
package pixel
