"""Foundation models by short names: which of timm's networks they are, and what they are shown.

Source: DINOv2: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision" (2023);
DINOv3: Siméoni et al., "DINOv3" (2025); CLIP: Radford et al., "Learning Transferable Visual Models
From Natural Language Supervision" (ICML 2021). Mean and std are what timm publishes beside the
weights; resize and crop are those of the authors' code: for evaluation 256 to 224 in DINOv2 and
DINOv3, 224 to 224 in CLIP. (timm writes the pretraining's last 518 pixels for DINOv2, 256 for the
ViTs of DINOv3, 224 for its ConvNeXt, and 248 to 224 for CLIP's ViT-B.)
Differs from the source: packs are resized with a bilinear filter, the authors use a bicubic one.

Features are the class token after the last norm, as the authors take it, where timm would average
over DINOv3's patches; DINOv3's ConvNeXt gives the average over its map. CLIP's stand before the
projection to where texts are; its ViTs have the quick GELU that OpenAI trained them with. Position
embeddings stay as published and are resized to the crop at each step: any multiple of the patch.

The word for the published weights is "imagenet", as for all backbones, though none of these was
trained on it alone. A file that is brought holds them by timm's names, as timm's repositories on
huggingface.co do, or by those that timm itself renames, as older ones do (OpenAI's for CLIP).
timm gives the DINOv3 License for DINOv3's, Apache 2.0 for the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Foundation:
    """One network of timm with published weights.

    Args:
        timm: its name and its weights' there.
        resize: pixels of an image's shorter side.
        crop: pixels of the centre that the network is shown.
        options: what timm is told beside.
    """

    timm: str
    resize: int
    crop: int = 224
    options: Mapping[str, Any] = field(default_factory=dict)


SIZED: Mapping[str, Any] = {"dynamic_img_size": True}
TOKEN: Mapping[str, Any] = {"dynamic_img_size": True, "global_pool": "token"}

FOUNDATIONS: Mapping[str, Foundation] = {
    "dinov2_vits14": Foundation("vit_small_patch14_dinov2.lvd142m", 256, options=SIZED),
    "dinov2_vitb14": Foundation("vit_base_patch14_dinov2.lvd142m", 256, options=SIZED),
    "dinov2_vitl14": Foundation("vit_large_patch14_dinov2.lvd142m", 256, options=SIZED),
    "dinov3_vits16": Foundation("vit_small_patch16_dinov3.lvd1689m", 256, options=TOKEN),
    "dinov3_vitb16": Foundation("vit_base_patch16_dinov3.lvd1689m", 256, options=TOKEN),
    "dinov3_convnext_tiny": Foundation("convnext_tiny.dinov3_lvd1689m", 256),
    "clip_vitb32": Foundation("vit_base_patch32_clip_quickgelu_224.openai", 224, options=SIZED),
    "clip_vitb16": Foundation("vit_base_patch16_clip_quickgelu_224.openai", 224, options=SIZED),
    "clip_vitl14": Foundation("vit_large_patch14_clip_quickgelu_224.openai", 224, options=SIZED),
}
