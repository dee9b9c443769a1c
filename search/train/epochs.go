package train

import (
	"fmt"
	"math"
	"strconv"
)

// Epochs counts passes over the training samples, fractions allowed. As text it is a number, or
// "auto" for Auto.
type Epochs float64

// Auto leaves the passes to the number of samples: a job puts a number in its place, and training refuses it.
const Auto Epochs = -1

// MarshalText writes the number, or auto.
func (e Epochs) MarshalText() ([]byte, error) {
	if e == Auto {
		return []byte("auto"), nil
	}
	return strconv.AppendFloat(nil, float64(e), 'g', -1, 64), nil
}

// UnmarshalText reads a number of 0 or more, or auto.
func (e *Epochs) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*e = Auto
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err == nil {
		err = Epochs(v).Check()
	}
	if err != nil || Epochs(v) == Auto {
		return fmt.Errorf("want auto or a number >= 0, got %q", text)
	}
	*e = Epochs(v)
	return nil
}

// Check reports what is neither Auto nor a finite number of 0 or more.
func (e Epochs) Check() error {
	if e == Auto || e >= 0 && !math.IsInf(float64(e), 0) {
		return nil
	}
	return fmt.Errorf("want auto or a number >= 0, got %g", float64(e))
}
