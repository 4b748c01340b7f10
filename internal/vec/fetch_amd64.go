package vec

//go:noescape
func fetchAMD64(x *float32, ld, rows, n int)
