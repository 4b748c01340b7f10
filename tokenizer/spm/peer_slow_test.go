//go:build slow

package spm

const peerTexts = 20_000
