/// Models of random numbers: any shape of the family, in memory or as a checkpoint folder, the same bytes in both.
///
/// Read [dev.sidewinder.model.synthetic.SyntheticModel] first; [dev.sidewinder.model.synthetic.ShapeSpec] has the shapes,
/// [dev.sidewinder.model.synthetic.RandomTensors] the numbers.
package dev.sidewinder.model.synthetic;
