//go:build !slow

package train

const kills = 50 // of TestKilled
