// Package media turns the bytes of pictures into the numbers that models take, with the bits that PIL and torchvision give.
//
// Decode reads PNG, JPEG, GIF and WebP (of animations the first frame) behind caps that are checked in the header, before a pixel is allocated.
// Augment changes pictures at random as torchvision does, each a function of a key.
// Resize is PIL's antialiased resampling, bit for bit. Preprocess is the chain in front of CLIP: resize, centre crop, normalise.
package media
