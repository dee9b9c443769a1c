package keys_test

import (
	"math"
	"testing"

	"github.com/entangle-nas/entangle/internal/keys"
)

const wantSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "https://example.org/job",
  "title": "Job",
  "type": "object",
  "properties": {
    "seed": {
      "type": "integer",
      "minimum": 0,
      "default": 18446744073709551615
    },
    "tune": {
      "description": "training",
      "type": "object",
      "properties": {
        "lr": {
          "description": "learning rate (per step)",
          "type": "number",
          "exclusiveMinimum": 0,
          "default": 0.05
        },
        "share": {
          "type": [
            "number",
            "null"
          ],
          "minimum": 0,
          "exclusiveMaximum": 1
        }
      },
      "additionalProperties": false
    },
    "none": {
      "type": "object",
      "properties": {},
      "additionalProperties": false
    },
    "kind": {
      "type": "string",
      "enum": [
        "drnas",
        "darts",
        "gdas"
      ],
      "default": "darts"
    },
    "also": {
      "type": [
        "string",
        "null"
      ],
      "enum": [
        "drnas",
        "darts",
        "gdas",
        null
      ]
    },
    "kinds": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "string",
        "enum": [
          "drnas",
          "darts",
          "gdas"
        ]
      },
      "minItems": 1,
      "default": []
    },
    "means": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "number",
        "maximum": 2
      }
    },
    "name": {
      "type": "string",
      "minLength": 1,
      "default": ""
    },
    "on": {
      "type": "boolean",
      "default": false
    },
    "pair": {
      "type": [
        "string",
        "number",
        "boolean",
        "object",
        "array"
      ],
      "default": "0x0"
    }
  },
  "additionalProperties": false
}`

func TestSchema(t *testing.T) {
	var v struct {
		Seed uint64 `json:"seed"`
		Tune struct {
			Rate  float64  `json:"lr" doc:"learning rate" unit:"per step" want:">0"`
			Share *float64 `json:"share" want:"[0,1)"`
		} `json:"tune" doc:"training"`
		None  struct{}  `json:"none"`
		Kind  string    `json:"kind" oneof:"kind"`
		Also  *string   `json:"also" oneof:"kind"`
		Kinds []string  `json:"kinds" oneof:"kind" want:"nonempty"`
		Means []float64 `json:"means" want:"<=2"`
		Name  string    `json:"name" want:"nonempty"`
		On    bool      `json:"on"`
		Pair  pair      `json:"pair"`
	}
	v.Seed, v.Tune.Rate, v.Kind, v.Kinds = math.MaxUint64, 0.05, "darts", []string{}
	got, err := keys.Schema(&v, lists, "Job", "https://example.org/job")
	if err != nil || string(got) != wantSchema {
		t.Fatalf("err %v, got\n%s", err, got)
	}
	v.Tune.Rate = math.NaN()
	if got, err := keys.Schema(&v, lists, "", ""); err == nil {
		t.Errorf("want an error for a default that is not finite, got\n%s", got)
	}
}
