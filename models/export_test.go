package models

// Update reports whether golden files are to be rewritten.
func Update() bool { return *update }

// MACs returns the builder's own count of e with its defaults, per image.
func MACs(e Entry) (int, error) {
	n, err := e.net(Options{})
	if err != nil {
		return 0, err
	}
	return n.MACs(), nil
}
