"""What every chapter imports: the framework that the course builds, its data, its pictures, its checks."""
