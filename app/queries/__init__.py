"""Every SQL read of the faces, by area, with typed rows. No framework is imported here."""
