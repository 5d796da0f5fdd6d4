//go:build !linux

package bridgechild

import "errors"

// Confinement names how children are confined here: not at all.
func Confinement() string { return "" }

// runConfined fails: there is no confinement here.
func runConfined(accessRules, []string) error {
	return errors.New("the bridge can't be confined on this system")
}
