package cli

// MakeRelease makes the running program one of a release, as the linker does. For the process that stands in for composer-api,
// before Main.
func MakeRelease(itsVersion, itsReleases, itsKey string) {
	version, releases, releaseKey = itsVersion, itsReleases, itsKey
}
