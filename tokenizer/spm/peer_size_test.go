//go:build !slow

package spm

const peerTexts = 500
