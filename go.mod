module github.com/plinth-ml/plinth

go 1.26.6

require (
	github.com/alecthomas/kong v1.17.0
	github.com/dlclark/regexp2/v2 v2.13.0
	github.com/klauspost/compress v1.20.3
	golang.org/x/image v0.47.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
)

require github.com/goccy/go-yaml v1.19.0

require golang.org/x/text v0.43.0
