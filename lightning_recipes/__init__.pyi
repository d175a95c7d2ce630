# The public names, a line each; to make one public, add its line.
from .callbacks.activation_regularization import ActivationRegularization as ActivationRegularization
from .callbacks.best_checkpoint import BestCheckpoint as BestCheckpoint
from .callbacks.checkpoints import LastCheckpoint as LastCheckpoint
from .callbacks.early_stopping import EarlyStopping as EarlyStopping
from .callbacks.ema import EMA as EMA
from .callbacks.error_analysis import ErrorAnalysis as ErrorAnalysis
from .callbacks.gradcam import MisclassifiedGradCAM as MisclassifiedGradCAM
from .callbacks.gradient_clipping import GradientClipping as GradientClipping
from .callbacks.gradient_noise import GradientNoise as GradientNoise
from .callbacks.l1 import L1 as L1
from .callbacks.lookahead import Lookahead as Lookahead
from .callbacks.lr_finder import LearningRateFinder as LearningRateFinder
from .callbacks.max_norm import MaxNorm as MaxNorm
from .callbacks.micro_batches import MicroBatches as MicroBatches
from .callbacks.mixing import Mixing as Mixing
from .callbacks.on_plateau import OnPlateau as OnPlateau
from .callbacks.recording.run_recorder import RunRecorder as RunRecorder
from .callbacks.recording.run_summary import RunSummary as RunSummary
from .callbacks.sam import SAM as SAM
from .callbacks.snapshots import SnapshotEnsemble as SnapshotEnsemble
from .callbacks.stages import Stages as Stages
from .callbacks.stem_whitening import StemWhitening as StemWhitening
from .callbacks.stochastic_depth import StochasticDepth as StochasticDepth
from .callbacks.training_doctor import TrainingDoctor as TrainingDoctor
from .callbacks.wandb_tracker import WandbTracker as WandbTracker
from .data.datamodule import ImageDataModule as ImageDataModule
from .data.pretraining import PretrainingDataModule as PretrainingDataModule
from .errors import UserError as UserError
from .evaluation.prediction import Prediction as Prediction
from .models.groups import LayerGroup as LayerGroup
from .models.groups import groups_of as groups_of
from .modules.classification import ClassificationModule as ClassificationModule
from .modules.classifier import ImageClassifier as ImageClassifier
from .modules.ensemble import EnsembleClassifier as EnsembleClassifier
from .modules.gan.conditional_gan import ConditionalGAN as ConditionalGAN
from .modules.load import load as load
from .modules.pretraining.module import PretrainingModule as PretrainingModule
from .modules.staged import StagedModule as StagedModule
from .stages.plan import Plan as Plan
from .stages.plan import Stage as Stage

__all__: list[str]
__version__: str
