package bridgechild

// Launcher is the command line of a confined child that may read file and write into folder, beside what every child may.
func Launcher(program []string, file, folder string, argv []string) []string {
	rules := systemRules()
	rules.Read = append(rules.Read, file)
	rules.Write = append(rules.Write, folder)
	return launcher(program, rules, argv)
}

// Restore is what Start does before it starts anything.
func (h *Home) Restore() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.restore()
}

// Path is the private folder.
func (h *Home) Path() string { return h.path }
