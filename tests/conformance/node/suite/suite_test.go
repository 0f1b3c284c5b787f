// Package suite is the conformance tests of the Gateway API as they are, with a line for each result as soon as it is known: Go's
// own come when the last test has ended.
package suite

import (
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

func TestConformance(t *testing.T) {
	options := conformance.DefaultOptions(t)
	began := time.Now()
	options.Hook = func(t *testing.T, test suite.ConformanceTest, _ *suite.ConformanceTestSuite) {
		result := "PASS"
		switch {
		case t.Failed():
			result = "FAIL"
		case t.Skipped():
			return
		}
		fmt.Printf("\nresult: %s %s, %.0f s after the begin\n", result, test.ShortName, time.Since(began).Seconds())
	}
	conformance.RunConformanceWithOptions(t, options)
}
