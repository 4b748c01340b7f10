package scaling

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.OneProcessor()
	m.Run()
}
