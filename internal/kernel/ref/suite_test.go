package ref_test

import (
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
)

func TestSuite(t *testing.T) { suite.Run(t, ref.New(), suite.Options{}) }
