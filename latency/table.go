package latency

import "errors"

// ReadTable is to come.
func ReadTable(path string, src Source, o Options) (*Prices, error) {
	return nil, errors.New("to come")
}

// WritePieces is to come.
func WritePieces(dir string, src Source, o Options, force bool) (int, error) {
	return 0, errors.New("to come")
}
