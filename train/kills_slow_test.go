//go:build slow

package train

const kills = 300 // of TestKilled
