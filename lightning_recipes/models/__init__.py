"""The models room: backbones of timm, their weights and their layer groups."""
